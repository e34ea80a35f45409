"""What a trade network is: its tables, their meaning, and the rules by which one flow counts once."""
