"""Evidence -> features, rules, learned classifiers -> a score per subject."""
