"""Wrong ledgers: single changes to the Lua scripts, each of which the contract tests must detect."""
