"""Load while processes are killed, and the judgement of what became of every accepted run."""
