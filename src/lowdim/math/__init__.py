"""Pure functions on tensors: linear algebra."""
