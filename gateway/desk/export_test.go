package desk

// CallsForTest is how many methods the socket knows.
func CallsForTest() int { return len(calls) }
