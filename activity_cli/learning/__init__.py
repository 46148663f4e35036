"""How a network learns: what is planned, what it is fed, the loop, and what survives a crash."""
