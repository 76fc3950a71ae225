"""Chains of Kronecker-sparse factors, before anything is compiled."""
