"""HTTP: routes, the SOAP endpoint, tokens, control and the page; decides nothing about imports."""
