// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/csv"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"strings"
	"time"
)

// userTokens holds the tokens of the API's users.
type userTokens struct{ admin, limited string }

// grantAccess creates the node's certificate and the users' tokens, unless they exist. It
// also writes the files that clients need.
func (c *cluster) grantAccess() error {
	if err := c.createCertificate(); err != nil {
		return err
	}
	users, err := readUsers(c.Tokens)
	if errors.Is(err, fs.ErrNotExist) {
		users = userTokens{admin: rand.Text(), limited: rand.Text()}
		lines := "%s,admin,admin,system:masters\n%s,bluegreen,bluegreen\n"
		err = write(c.Tokens, fmt.Sprintf(lines, users.admin, users.limited))
	}
	if err != nil {
		return err
	}
	if err := c.writeKubeconfig(c.Kubeconfig, "admin", users.admin); err != nil {
		return err
	}
	if err := c.writeKubeconfig(c.LimitedConfig, "bluegreen", users.limited); err != nil {
		return err
	}
	return write(c.Environment, fmt.Sprintf("KUBECONFIG=%s\nCONTAINERD_ADDRESS=%s\nCONTAINERD_NAMESPACE=%s\n",
		c.Kubeconfig, c.ContainerdSocket, containerdNamespace))
}

// readUsers reads the API server's token file.
func readUsers(path string) (userTokens, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return userTokens{}, err
	}
	reader := csv.NewReader(strings.NewReader(string(text)))
	reader.FieldsPerRecord = -1
	lines, err := reader.ReadAll()
	if err != nil || len(lines) != 2 {
		return userTokens{}, fmt.Errorf("%s: want the tokens of two users", path)
	}
	return userTokens{admin: lines[0][0], limited: lines[1][0]}, nil
}

func (c *cluster) writeKubeconfig(path, user, token string) error {
	certificate, err := os.ReadFile(c.Certificate)
	if err != nil {
		return err
	}
	text, err := render("kubeconfig.yaml", struct{ Server, CertificateAuthority, User, Token string }{
		c.api(""), base64.StdEncoding.EncodeToString(certificate), user, token,
	})
	if err != nil {
		return err
	}
	return write(path, text)
}

// createCertificate creates one certificate, which all components use as servers and as
// clients. The certificate signs itself, so nobody else can have one with the same
// authority.
func (c *cluster) createCertificate() error {
	if _, err := os.Stat(c.Certificate); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(now.UnixNano()),
		Subject:               pkix.Name{CommonName: c.Node},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP(c.NodeAddress)},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	// The certificate is written last. If it exists, the key exists too.
	if err := write(c.Key, string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}))); err != nil {
		return err
	}
	return write(c.Certificate, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})))
}
