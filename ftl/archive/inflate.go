package archive

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
)

// inflate decompresses a gzip member (RFC 1952, 1951) whose length is known, from memory to memory.
// It takes half the time of a decoder that reads a stream, as it keeps no window and reads eight
// bytes at a time. It gives up on whatever is unusual, which may still be sound: the general
// decoder decides then.
type inflate struct {
	in      []byte
	out     []byte
	pos, at int    // in in and out
	bits    uint64 // read from in and not used yet, the next one lowest
	n       uint   // how many bits

	literals  [1<<literalBits + 288<<(maxCode-literalBits)]uint32
	distances [1<<distanceBits + 32<<(maxCode-distanceBits)]uint32
	lengths   [288 + 32]uint8 // of the codes of the block
}

// The tables are looked up with the next bits, as many as are below. An entry says all about what
// these bits begin with:
//
//	bits 0-5    how many bits to use up, those of the code and the extra ones behind it
//	bits 8-11   how many of them are the code's
//	bits 12-14  what it is, one of the constants below, or 0: a length or a distance
//	bits 16-31  the literal, or what the extra bits are added to, or where the table for longer codes begins
const (
	literalBits  = 11
	distanceBits = 8
	maxCode      = 15

	isLiteral = 1 << 12
	isEnd     = 2 << 12
	isLonger  = 4 << 12
	isSpecial = isEnd | isLonger
	isNothing = isEnd | isLonger // no code begins like this

	// What one round of the fast loop writes at most: two literals, a match of 258, and what its
	// copying writes too much.
	fastOut = 2 + 258 + 16
	fastIn  = 16
)

// member decompresses packed, which is a whole member, to a buffer of exactly the right size.
func (x *inflate) member(packed, out []byte) bool {
	const header, trailer = 10, 8
	if len(packed) < header+trailer || string(packed[:4]) != "\x1f\x8b\x08\x00" {
		return false
	}
	end := packed[len(packed)-trailer:]
	x.in, x.out, x.pos, x.at, x.bits, x.n = packed[header:len(packed)-trailer], out, 0, 0, 0, 0
	defer func() { x.in, x.out = nil, nil }()
	for last := false; !last; {
		x.refill()
		last = x.take(1) == 1
		ok := false
		switch x.take(2) {
		case 0:
			ok = x.stored()
		case 1:
			ok = x.fixed() && x.block()
		case 2:
			ok = x.dynamic() && x.block()
		}
		if !ok {
			return false
		}
	}
	left := len(x.in) - x.pos + int(x.n/8)
	return left == 0 && x.at == len(out) &&
		binary.LittleEndian.Uint32(end[4:]) == uint32(len(out)) &&
		binary.LittleEndian.Uint32(end) == crc32.ChecksumIEEE(out)
}

// refill reads 56 bits or some more, if there are as many.
func (x *inflate) refill() {
	for x.n < 56 && x.pos < len(x.in) {
		x.bits |= uint64(x.in[x.pos]) << x.n
		x.pos++
		x.n += 8
	}
}

// take uses up bits that were read. Beyond the end they are zeros, and n becomes absurd, which
// overrun reports.
func (x *inflate) take(n uint) uint64 {
	v := x.bits & (1<<n - 1)
	x.bits >>= n
	x.n -= n
	return v
}

func (x *inflate) overrun() bool { return x.n > 64 }

func (x *inflate) stored() bool {
	x.take(x.n & 7)
	x.refill()
	if x.n < 32 || x.overrun() {
		return false
	}
	size := int(x.take(16))
	if size != int(^uint16(x.take(16))) {
		return false
	}
	x.pos -= int(x.n / 8) // give back what was read ahead
	x.bits, x.n = 0, 0
	if size > len(x.in)-x.pos || size > len(x.out)-x.at {
		return false
	}
	x.at += copy(x.out[x.at:], x.in[x.pos:x.pos+size])
	x.pos += size
	return true
}

func (x *inflate) fixed() bool {
	for i := range 288 {
		switch {
		case i < 144 || i >= 280:
			x.lengths[i] = 8
		case i < 256:
			x.lengths[i] = 9
		default:
			x.lengths[i] = 7
		}
	}
	for i := range 32 {
		x.lengths[288+i] = 5
	}
	return x.tables(288, 32)
}

// codeOrder is the order in which a block gives the lengths of the codes for lengths.
var codeOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// dynamic reads the codes of a block.
func (x *inflate) dynamic() bool {
	x.refill()
	literals, distances, codes := int(x.take(5))+257, int(x.take(5))+1, int(x.take(4))+4
	if literals > 286 || distances > 30 {
		return false
	}
	var code [19]uint8
	for _, i := range codeOrder[:codes] {
		x.refill()
		code[i] = uint8(x.take(3))
	}
	var table [1 << 7]uint32
	if !build(table[:], 7, code[:], func(symbol int) uint32 { return uint32(symbol) << 16 }) {
		return false
	}
	for i := 0; i < literals+distances; {
		x.refill()
		e := table[x.bits&(1<<7-1)]
		if e&isSpecial != 0 || x.overrun() {
			return false
		}
		x.take(uint(e & 63))
		symbol, times := uint8(e>>16), 1
		switch symbol {
		case 16:
			if i == 0 {
				return false
			}
			symbol, times = x.lengths[i-1], 3+int(x.take(2))
		case 17:
			symbol, times = 0, 3+int(x.take(3))
		case 18:
			symbol, times = 0, 11+int(x.take(7))
		}
		if i+times > literals+distances {
			return false
		}
		for range times {
			x.lengths[i] = symbol
			i++
		}
	}
	return !x.overrun() && x.tables(literals, distances)
}

// tables makes both tables of a block from the lengths of its codes.
func (x *inflate) tables(literals, distances int) bool {
	return x.lengths[256] > 0 &&
		build(x.literals[:], literalBits, x.lengths[:literals], literalEntry) &&
		build(x.distances[:], distanceBits, x.lengths[literals:literals+distances], distanceEntry)
}

// extra says what a symbol means: extra bits, and what they are added to (RFC 1951, 3.2.5).
type extra struct{ bits, base uint16 }

var lengthExtra, distanceExtra = func() (lengths [29]extra, distances [30]extra) {
	base := uint16(3)
	for i := range lengths {
		n := uint16(max(0, i/4-1))
		lengths[i] = extra{n, base}
		base += 1 << n
	}
	lengths[28] = extra{0, 258}
	base = 1
	for i := range distances {
		n := uint16(max(0, i/2-1))
		distances[i] = extra{n, base}
		base += 1 << n
	}
	return lengths, distances
}()

func literalEntry(symbol int) uint32 {
	switch {
	case symbol < 256:
		return isLiteral | uint32(symbol)<<16
	case symbol == 256:
		return isEnd
	case symbol < 286:
		e := lengthExtra[symbol-257]
		return uint32(e.bits) | uint32(e.base)<<16
	}
	return isNothing
}

func distanceEntry(symbol int) uint32 {
	if symbol >= 30 {
		return isNothing
	}
	e := distanceExtra[symbol]
	return uint32(e.bits) | uint32(e.base)<<16
}

// build fills a table for the codes of these lengths. A set of codes that is not complete is only
// usual where there is one distance, or none.
func build(table []uint32, width uint, lengths []uint8, entry func(symbol int) uint32) bool {
	var count [maxCode + 1]int
	for _, n := range lengths {
		count[n]++
	}
	count[0] = 0
	var next [maxCode + 2]uint32 // the next code of each length
	code, codes := uint32(0), 0
	for n := 1; n <= maxCode; n++ {
		next[n] = code
		code = (code + uint32(count[n])) << 1
		codes += count[n]
	}
	complete := code == 1<<(maxCode+1)
	if !complete && (codes != count[1] || codes > 1 || width != distanceBits) {
		return false
	}
	for i := range table[:1<<width] {
		table[i] = isNothing
	}
	end := 1 << width // of what is used of the table
	for symbol, n := range lengths {
		if n == 0 {
			continue
		}
		length := uint(n)
		reversed := int(bits.Reverse32(next[n]) >> (32 - length))
		next[n]++
		// The entry has its extra bits; add those of the code.
		e := entry(symbol) + uint32(length) | uint32(length)<<8
		if length <= width {
			for i := reversed; i < 1<<width; i += 1 << length {
				table[i] = e
			}
			continue
		}
		head := reversed & (1<<width - 1)
		if table[head]&isSpecial != isLonger {
			table[head] = isLonger | uint32(end)<<16
			for i := range table[end : end+1<<(maxCode-width)] {
				table[end+i] = isNothing
			}
			end += 1 << (maxCode - width)
		}
		from := int(table[head] >> 16)
		for i := reversed >> width; i < 1<<(maxCode-width); i += 1 << (length - width) {
			table[from+i] = e
		}
	}
	return true
}

// block decompresses a block, with the tables made.
func (x *inflate) block() bool {
	if done, ok := x.fast(); done || !ok {
		return ok
	}
	for {
		x.refill()
		e := x.lookup(x.literals[:], literalBits)
		switch {
		case e&isSpecial == isNothing || x.overrun():
			return false
		case e&isEnd != 0:
			x.take(uint(e & 63))
			return !x.overrun()
		case e&isLiteral != 0:
			if x.at == len(x.out) {
				return false
			}
			x.take(uint(e & 63))
			x.out[x.at] = byte(e >> 16)
			x.at++
			continue
		}
		length := x.value(e)
		x.refill()
		e = x.lookup(x.distances[:], distanceBits)
		if e&isSpecial != 0 {
			return false
		}
		distance := x.value(e)
		if x.overrun() || distance > x.at || length > len(x.out)-x.at {
			return false
		}
		for range length {
			x.out[x.at] = x.out[x.at-distance]
			x.at++
		}
	}
}

// lookup returns the entry of the next code.
func (x *inflate) lookup(table []uint32, width uint) uint32 {
	e := table[x.bits&(1<<width-1)]
	if e&isSpecial == isLonger {
		e = table[uint64(e>>16)+x.bits>>width&(1<<(maxCode-width)-1)]
	}
	return e
}

// value uses up a code and its extra bits, and returns the length or the distance that they stand
// for.
func (x *inflate) value(e uint32) int {
	all := x.take(uint(e & 63))
	return int(e>>16) + int(all>>(e>>8&15))
}

// fast is block as long as neither end is near: there it need not ask whether there are enough
// bits, or enough room. It says whether the block is done.
func (x *inflate) fast() (done, ok bool) {
	in, out := x.in, x.out
	pos, at, buffer, n := x.pos, x.at, x.bits, x.n
	defer func() { x.pos, x.at, x.bits, x.n = pos, at, buffer, n }()
	literals := (*[1 << literalBits]uint32)(x.literals[:])
	distances := (*[1 << distanceBits]uint32)(x.distances[:])
	for pos+fastIn <= len(in) && at+fastOut <= len(out) {
		buffer |= binary.LittleEndian.Uint64(in[pos:]) << (n & 63)
		pos += int((63 - n) >> 3)
		n |= 56
		e := literals[buffer&(1<<literalBits-1)]
		if e&isLiteral != 0 {
			buffer >>= e & 63
			n -= uint(e & 63)
			out[at] = byte(e >> 16)
			at++
			e = literals[buffer&(1<<literalBits-1)]
			if e&isLiteral != 0 {
				buffer >>= e & 63
				n -= uint(e & 63)
				out[at] = byte(e >> 16)
				at++
				e = literals[buffer&(1<<literalBits-1)]
			}
			buffer |= binary.LittleEndian.Uint64(in[pos:]) << (n & 63)
			pos += int((63 - n) >> 3)
			n |= 56
		}
		if e&isSpecial == isLonger {
			e = x.literals[uint64(e>>16)+buffer>>literalBits&(1<<(maxCode-literalBits)-1)]
		}
		if e&(isSpecial|isLiteral) != 0 {
			if e&isSpecial == isNothing {
				return false, false
			}
			buffer >>= e & 63
			n -= uint(e & 63)
			if e&isEnd != 0 {
				return true, true
			}
			out[at] = byte(e >> 16)
			at++
			continue
		}
		length := int(e>>16) + int(buffer&(1<<(e&63)-1)>>(e>>8&15))
		buffer >>= e & 63
		n -= uint(e & 63)
		e = distances[buffer&(1<<distanceBits-1)]
		if e&isSpecial != 0 {
			if e&isSpecial == isLonger {
				e = x.distances[uint64(e>>16)+buffer>>distanceBits&(1<<(maxCode-distanceBits)-1)]
			}
			if e&isSpecial != 0 {
				return false, false
			}
		}
		distance := int(e>>16) + int(buffer&(1<<(e&63)-1)>>(e>>8&15))
		buffer >>= e & 63
		n -= uint(e & 63)
		from := at - distance
		if from < 0 {
			return false, false
		}
		end := at + length
		switch {
		case distance >= 8 && length <= 16:
			binary.LittleEndian.PutUint64(out[at:], binary.LittleEndian.Uint64(out[from:]))
			binary.LittleEndian.PutUint64(out[at+8:], binary.LittleEndian.Uint64(out[from+8:]))
		case distance >= length:
			copy(out[at:end], out[from:])
		case distance == 1:
			b := out[from]
			for i := range out[at:end] {
				out[at+i] = b
			}
		default: // the match runs into itself, so that it repeats
			for done := distance; at < end; at += done {
				done = copy(out[at:min(end, at+distance)], out[from:at])
				distance += done
			}
		}
		at = end
	}
	return false, true
}
