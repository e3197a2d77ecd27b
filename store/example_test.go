package store_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/rhettg/ftl/store"
)

// write writes a text under a key.
func write(b store.Bucket, key, text string, opts store.PutOptions) (store.Object, error) {
	opts.SHA256 = sha256.Sum256([]byte(text))
	return b.Put(context.Background(), key, strings.NewReader(text), opts)
}

// exampleBucket is a directory; an S3 bucket, "s3://my-releases", does the same.
func exampleBucket() (bucket store.Bucket, remove func()) {
	dir, err := os.MkdirTemp("", "store-example-")
	if err != nil {
		panic(err)
	}
	bucket, err = store.Open(context.Background(), "file://"+dir, store.Options{})
	if err != nil {
		panic(err)
	}
	return bucket, func() { os.RemoveAll(dir) }
}

func Example() {
	bucket, remove := exampleBucket()
	defer remove()
	ctx := context.Background()

	_, err := bucket.Stat(ctx, "notes/today")
	fmt.Println("absent:", errors.Is(err, fs.ErrNotExist))

	if _, err := write(bucket, "notes/today", "buy bread", store.PutOptions{}); err != nil {
		fmt.Println(err)
		return
	}
	body, object, err := bucket.Get(ctx, "notes/today", store.GetOptions{Offset: 4})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer body.Close()
	rest, err := io.ReadAll(body)
	fmt.Printf("%q of %d bytes, %v\n", rest, object.Size, err)

	listing, err := bucket.List(ctx, store.ListOptions{Prefix: "notes/"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, object := range listing.Objects {
		fmt.Println(object.Key)
	}
	// Output:
	// absent: true
	// "bread" of 9 bytes, <nil>
	// notes/today
}

// Two people change the same object. The second one learns of it, and has overwritten nothing.
func ExampleBucket_conditions() {
	bucket, remove := exampleBucket()
	defer remove()

	first, err := write(bucket, "notes/today", "buy bread", store.PutOptions{IfAbsent: true})
	fmt.Println("written:", err == nil)
	_, err = write(bucket, "notes/today", "buy milk", store.PutOptions{IfAbsent: true})
	fmt.Println("refused:", errors.Is(err, store.ErrPrecondition))

	_, err = write(bucket, "notes/today", "buy bread and milk", store.PutOptions{IfMatch: first.ETag})
	fmt.Println("written:", err == nil)
	_, err = write(bucket, "notes/today", "buy nothing", store.PutOptions{IfMatch: first.ETag})
	fmt.Println("refused:", errors.Is(err, store.ErrPrecondition))
	// Output:
	// written: true
	// refused: true
	// written: true
	// refused: true
}

func ExampleOpen() {
	for _, location := range []string{"my_releases/site", "/srv/bucket", "ftp://my-releases"} {
		_, err := store.Open(context.Background(), location, store.Options{})
		fmt.Println(err)
	}
	// Output:
	// bucket "my_releases/site": a bucket with a prefix is given as a URL, write for example s3://my-bucket/prefix
	// bucket "/srv/bucket": a directory is given as a URL, write for example file:///srv/bucket
	// bucket "ftp://my-releases": unknown scheme ftp, write for example s3://my-bucket or file:///srv/bucket
}
