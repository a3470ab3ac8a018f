// Package asciicast writes terminal sessions in the format that players of
// them read (asciicast, version 2): a header, then one event a line. A
// character that arrives in pieces is written whole; what is no text is
// replaced by U+FFFD, as JSON wants it.
package asciicast
