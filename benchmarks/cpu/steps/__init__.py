"""Whole training steps: the loss and its gradients, clipping, Adam; a model of ours beside the same one in torch."""
