"""Programs that models write: run in the sandbox, held against test cases."""
