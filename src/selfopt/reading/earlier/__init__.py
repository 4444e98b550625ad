"""How replies were read before: the readers and repairs of the chain `all@1`.

Evidence says by which chain a reply was read, so what these read never changes. Faults in them are
mended in a new version beside them.
"""
