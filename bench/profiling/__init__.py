"""How far a kernel is from what the machine can do, and what of a training step it explains.

``ceilings`` measures the machine; ``roofline`` says which ceiling binds a call; ``recorder`` times every kernel call
of whatever holds a `kernels.Kernels`; ``kernel`` and ``step`` put them together; ``printing`` shows the result and
``command`` is the command line. Nothing heavy is imported here, so that ``depthbench --help`` stays quick.
"""
