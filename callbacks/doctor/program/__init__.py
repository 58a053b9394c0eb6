"""What a program is: its graph, its last layer, its loss, its task, and how well it does."""
