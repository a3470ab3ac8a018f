package jobspec

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"golang.org/x/crypto/bcrypt"
)

// textFunc makes a function of texts.
func textFunc(f func(args []string) (string, error), params ...string) function.Function {
	spec := &function.Spec{
		Type: function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			texts := make([]string, len(args))
			for i, a := range args {
				texts[i] = a.AsString()
			}
			s, err := f(texts)
			if err != nil {
				return cty.UnknownVal(cty.String), err
			}
			return cty.StringVal(s), nil
		},
	}
	for _, p := range params {
		spec.Params = append(spec.Params, function.Parameter{Name: p, Type: cty.String})
	}
	return function.New(spec)
}

func cryptoFunctions() map[string]function.Function {
	return map[string]function.Function{
		"base64encode": textFunc(func(a []string) (string, error) { return base64.StdEncoding.EncodeToString([]byte(a[0])), nil }, "text"),
		"base64decode": textFunc(func(a []string) (string, error) {
			b, err := base64.StdEncoding.DecodeString(a[0])
			if err == nil && !utf8.Valid(b) {
				err = errors.New("the content is not UTF-8 text")
			}
			return string(b), err
		}, "text"),
		"sha256": textFunc(func(a []string) (string, error) {
			h := sha256.Sum256([]byte(a[0]))
			return hex.EncodeToString(h[:]), nil
		}, "text"),
		"sha512": textFunc(func(a []string) (string, error) {
			h := sha512.Sum512([]byte(a[0]))
			return hex.EncodeToString(h[:]), nil
		}, "text"),
		"urlencode":  textFunc(func(a []string) (string, error) { return url.QueryEscape(a[0]), nil }, "text"),
		"uuidv4":     textFunc(func([]string) (string, error) { return uuid.NewString(), nil }),
		"uuidv5":     textFunc(uuidv5, "namespace", "name"),
		"rsadecrypt": textFunc(rsaDecrypt, "ciphertext", "private key"),
		"bcrypt":     bcryptFunc,
	}
}

func uuidv5(a []string) (string, error) {
	spaces := map[string]uuid.UUID{"dns": uuid.NameSpaceDNS, "url": uuid.NameSpaceURL, "oid": uuid.NameSpaceOID, "x500": uuid.NameSpaceX500}
	space, ok := spaces[a[0]]
	if !ok {
		var err error
		if space, err = uuid.Parse(a[0]); err != nil {
			return "", fmt.Errorf("%q is neither dns, url, oid, x500 nor a UUID", a[0])
		}
	}
	return uuid.NewSHA1(space, []byte(a[1])).String(), nil
}

// rsaDecrypt decrypts base64 of PKCS #1 v1.5 with a PEM key.
func rsaDecrypt(a []string) (string, error) {
	sealed, err := base64.StdEncoding.DecodeString(a[0])
	if err != nil {
		return "", errors.New("the ciphertext is not base64")
	}
	block, _ := pem.Decode([]byte(a[1]))
	if block == nil {
		return "", errors.New("the private key is not PEM")
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		other, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		rsaKey, ok := other.(*rsa.PrivateKey)
		if err != nil || !ok {
			return "", errors.New("the private key is not an RSA key")
		}
		key = rsaKey
	}
	//lint:ignore SA1019 the format that job files use; nobody else learns whether it failed
	plain, err := rsa.DecryptPKCS1v15(rand.Reader, key, sealed)
	if err != nil {
		return "", errors.New("the ciphertext does not belong to the key")
	}
	return string(plain), nil
}

var bcryptFunc = function.New(&function.Spec{
	Params:   []function.Parameter{{Name: "text", Type: cty.String}},
	VarParam: &function.Parameter{Name: "cost", Type: cty.Number},
	Type:     function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		cost := bcrypt.DefaultCost
		if len(args) > 1 {
			n, _ := args[1].AsBigFloat().Int64()
			cost = int(n)
		}
		h, err := bcrypt.GenerateFromPassword([]byte(args[0].AsString()), cost)
		if err != nil {
			return cty.UnknownVal(cty.String), err
		}
		return cty.StringVal(string(h)), nil
	},
})
