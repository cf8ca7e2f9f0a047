"""What a whole training costs, on Fashion-MNIST's 60,000 images: ``python -m bench.fit_speed -o results/fit_speed``

Micro-benchmarks time a step; here it is what a user waits for and pays in memory.

epoch   seconds of ``fit`` for one epoch of lenet5, checks and preparation of the data included, beside the machine's ceiling
race    seconds of training until lenet5 reaches an accuracy on the test part, ours against PyTorch: the same starting weights,
        batches, order of batches and optimizer, one thread each, epochs in turn
memory  what ``fit`` adds to the resident memory of a process that holds the data, network by network

Parts can be run one by one, and the race seed by seed: what was measured before stays in fit_speed.json.
"""
