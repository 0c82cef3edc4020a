"""The connector that runs customers' own code, each time in a fresh WebAssembly instance."""
