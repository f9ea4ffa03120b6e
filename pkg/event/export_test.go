package event

func ExpandForBenchmark(body []byte) []byte {
	r, err := expand(body)
	if err != nil {
		panic(err)
	}
	return r.b
}

func CompressForBenchmark(b []byte) []byte { return (&scratch{plain: b}).compress() }
