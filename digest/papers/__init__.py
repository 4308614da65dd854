"""Papers: listings to papers (cleaning, identity), their embedding, summary and momentum."""
