"""Recommender: candidates put in order by what their texts say to a user, by behaviour, popularity and rules."""
