"""Facts -> English. The one room that makes the sentences of findings, recommendations, rules and evidence."""
