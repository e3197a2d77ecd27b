package strictmodes_test

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// allow lets a user write to a file, by an access control list as acl(5) has it.
func allow(path string, user uint32) error {
	const version, owner, named, group, mask, other, undefined = 2, 0x01, 0x02, 0x04, 0x10, 0x20, ^uint32(0)
	type entry struct {
		Tag, Perm uint16
		ID        uint32
	}
	var list bytes.Buffer
	entries := []entry{{owner, 7, undefined}, {named, 7, user}, {group, 5, undefined}, {mask, 7, undefined}, {other, 5, undefined}}
	if err := binary.Write(&list, binary.LittleEndian, uint32(version)); err != nil {
		return err
	}
	if err := binary.Write(&list, binary.LittleEndian, entries); err != nil {
		return err
	}
	return unix.Setxattr(path, "system.posix_acl_access", list.Bytes(), 0)
}
