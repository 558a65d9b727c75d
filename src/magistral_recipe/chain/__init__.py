"""The chain: the stages in order, each skipped, resumed or started, in processes of their own, and recorded."""
