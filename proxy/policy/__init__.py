"""Rules to verdicts: who may do which verb is Casbin's answer, how far is the protocol's, how much and when is ours."""
