"""The official validator of FOCUS 1.2 and a lint of FOCUS 1.4, which `make tools` installs, and how tests run them."""
