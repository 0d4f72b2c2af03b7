#!/bin/sh
# Serve the active release of Harbour under another name with the set-up of a tutorial: gunicorn with three
# sync workers on a Unix socket, nginx with proxy_params, no cache. Serve one page of it as a file, too.
# `bin/bench front` compares Decanter with both. Root runs it on a host that serves Harbour:
# `tutorial.sh up`, with the page on stdin, and `tutorial.sh down`.
#
# Application, environment, database, certificate and TLS are the same; only the tutorial's settings differ.
set -eu
unit=/etc/systemd/system/tutorial.service
vhost=/etc/nginx/sites-enabled/tutorial.conf
pages=/var/lib/tutorial

down() {
  [ ! -e $unit ] || systemctl disable --quiet --now tutorial.service
  rm -rf $unit $vhost $pages
  systemctl daemon-reload
  nginx -t -q && systemctl reload nginx
}

up() {
  install -d $pages
  cat > $pages/page.html
  cat > $unit <<'UNIT'
[Unit]
After=network.target

[Service]
User=harbour
Group=www-data
SupplementaryGroups=harbour
RuntimeDirectory=tutorial
WorkingDirectory=/srv/harbour/current
EnvironmentFile=/etc/decanter/harbour/environment
LoadCredential=SECRET_KEY:/etc/decanter/harbour/credentials/SECRET_KEY
ExecStart=/srv/harbour/current/.venv/bin/python -m gunicorn --workers 3 --bind unix:/run/tutorial/tutorial.sock -m 007 wsgi:app

[Install]
WantedBy=multi-user.target
UNIT
  tls=$(grep -h '^ *ssl_certificate' /etc/nginx/sites-enabled/harbour.conf | sort -u)
  cat > $vhost <<VHOST
server {
    listen 443 ssl;
    server_name by-hand.test;
$tls
    location / {
        include proxy_params;
        proxy_pass http://unix:/run/tutorial/tutorial.sock;
    }
}
server {
    listen 443 ssl;
    server_name file.test;
$tls
    root $pages;
    location / {
        try_files /page.html =404;
    }
}
VHOST
  systemctl daemon-reload
  systemctl restart tutorial.service
  nginx -t -q && systemctl reload nginx
}

case ${1:-} in
  up | down) "$1" ;;
  *) echo "tutorial.sh up | down" >&2; exit 2 ;;
esac
