// System.Numerics.Tensors has a Tensor too; in this project the word means libtorch's.
global using Tensor = TorchSharp.torch.Tensor;
