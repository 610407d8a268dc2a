"""The site's own certificate authority: keys, leaf certificates, the list of revoked ones. No sockets."""
