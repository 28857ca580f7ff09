"""The spend pages. Each asks queries and renders; none computes money on its own."""
