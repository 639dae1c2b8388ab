"""Compares bntrain with PyTorch; the program is scripts/compare_pytorch.py."""
