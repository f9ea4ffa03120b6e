package event

import (
	"fmt"
	"io"
	"log/slog"
	"math"
	"time"
)

// A Kind is the type of a value: what a field may hold and a column stores.
type Kind uint8

const (
	// Null is the absence of a value.
	Null Kind = iota
	String
	Int
	Float
	Bool
	// Time is an instant with millisecond resolution, in UTC.
	Time
	// Token is a pseudonym: exactly [TokenSize] bytes.
	Token
)

// TokenSize is the length of a token in bytes (160 bits; birthday bound 2^80).
const TokenSize = 20

func (k Kind) String() string {
	switch k {
	case Null:
		return "null"
	case String:
		return "string"
	case Int:
		return "integer"
	case Float:
		return "number"
	case Bool:
		return "boolean"
	case Time:
		return "time"
	case Token:
		return "token"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// A Value is one field of an event or one column of a row. The zero Value is
// null. A Value prints, logs and marshals as its kind; it is small and on the
// hot path, so unlike a [Raw] it does not hide behind a function.
type Value struct {
	kind Kind
	num  int64
	str  string
}

func StringValue(s string) Value         { return Value{kind: String, str: s} }
func IntValue(n int64) Value             { return Value{kind: Int, num: n} }
func FloatValue(f float64) Value         { return Value{kind: Float, num: int64(math.Float64bits(f))} }
func TimeValue(t time.Time) Value        { return Value{kind: Time, num: t.UnixMilli()} }
func TokenValue(t [TokenSize]byte) Value { return Value{kind: Token, str: string(t[:])} }

func BoolValue(b bool) Value {
	v := Value{kind: Bool}
	if b {
		v.num = 1
	}
	return v
}

func (v Value) Kind() Kind      { return v.kind }
func (v Value) IsNull() bool    { return v.kind == Null }
func (v Value) Str() string     { return v.str }
func (v Value) Int() int64      { return v.num }
func (v Value) Float() float64  { return math.Float64frombits(uint64(v.num)) }
func (v Value) Bool() bool      { return v.num != 0 }
func (v Value) Time() time.Time { return time.UnixMilli(v.num).UTC() }

// Token returns the bytes of a token, as a string of TokenSize bytes.
func (v Value) Token() string { return v.str }

func (v Value) String() string               { return "value(" + v.kind.String() + ")" }
func (v Value) GoString() string             { return v.String() }
func (v Value) LogValue() slog.Value         { return slog.StringValue(v.String()) }
func (v Value) MarshalText() ([]byte, error) { return []byte(v.String()), nil }
func (v Value) Format(s fmt.State, _ rune)   { _, _ = io.WriteString(s, v.String()) }
