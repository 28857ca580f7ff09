"""Forms of a tenant and what is in it, a file each. What is allowed is said by the rules, through the actions."""
