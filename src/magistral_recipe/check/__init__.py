"""What is proven before anything trains: the recipe's keys, the trainers' fields, the wiring, the memory."""
