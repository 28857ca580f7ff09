"""A provider on one's own machine: OpenAI's and Anthropic's wire formats, believable usage, no account and no cost.

Answers are deterministic: the same request has the same text and the same usage. Text counts four characters a token.
"""
