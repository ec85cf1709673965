"""support-bot: answers customers from the company's own articles, with citations, and knows when it does not know."""
