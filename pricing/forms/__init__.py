"""What the pages of prices can be asked, and what people write in them."""
