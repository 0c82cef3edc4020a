"""Templates and conditions of workflow definitions."""
