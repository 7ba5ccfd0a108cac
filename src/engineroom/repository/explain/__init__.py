"""What a configuration's settings do in a model's case, and what a change of them needs and moves."""
