"""What importing our modules changes in a host program: nothing but what `accepted` lists, each with its reason."""
