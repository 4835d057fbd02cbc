"""Numeric kernels that several sciences share: numpy in, numpy out, no input or output."""
