//go:build !linux

package tree

func IsReadOnly(string) bool { return false }

func MountOf(dir string) string { return dir }
