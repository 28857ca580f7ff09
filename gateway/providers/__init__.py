"""Who calls go to: one small file for each way of addressing a provider and of proving who we are."""
