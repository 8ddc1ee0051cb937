"""The methods of the facade, one for each command, in the groups of the command line's help."""
