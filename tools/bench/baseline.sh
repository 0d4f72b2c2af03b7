#!/bin/sh
# Serve Harbour on a new Debian 13 host with the bare minimum: the baseline of bin/bench.
# Root runs it once, in a folder that has app/ and gunicorn.txt.
set -eu
export DEBIAN_FRONTEND=noninteractive

apt-get -q update
apt-get -q -y install --no-install-recommends nginx mariadb-server python3-venv ufw

useradd --system --home-dir /srv/harbour harbour
mkdir /srv/harbour
cp -R app /srv/harbour/app
python3 -m venv /srv/harbour/venv
/srv/harbour/venv/bin/pip install -q -r app/requirements.txt -r gunicorn.txt

mariadb -e "CREATE DATABASE harbour CHARACTER SET utf8mb4;
  CREATE USER harbour@localhost IDENTIFIED VIA unix_socket;
  GRANT ALL ON harbour.* TO harbour@localhost"

umask 077
cat > /etc/harbour.env <<EOF
DATABASE_URL="mysql+pymysql://harbour@localhost/harbour?unix_socket=/run/mysqld/mysqld.sock&charset=utf8mb4"
SECRET_KEY=$(openssl rand -hex 32)
HARBOUR_PROXIES=1
EOF
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=harbour.test \
  -keyout /etc/ssl/private/harbour.key -out /etc/ssl/certs/harbour.crt
umask 022

cd /srv/harbour/app
set -a
# shellcheck disable=SC1091  # written above
. /etc/harbour.env
set +a
runuser -u harbour -- ../venv/bin/flask db upgrade
runuser -u harbour -- ../venv/bin/flask listings load-samples

cat > /etc/systemd/system/harbour.service <<'EOF'
[Unit]
After=network.target mariadb.service

[Service]
Type=notify
User=harbour
EnvironmentFile=/etc/harbour.env
WorkingDirectory=/srv/harbour/app
ExecStart=/srv/harbour/venv/bin/gunicorn --workers 3 --threads 4 --bind 127.0.0.1:8000 wsgi:app
Restart=always

[Install]
WantedBy=multi-user.target
EOF
systemctl enable --now harbour.service

cat > /etc/nginx/sites-enabled/default <<'EOF'
server {
    listen 80;
    listen 443 ssl;
    ssl_certificate /etc/ssl/certs/harbour.crt;
    ssl_certificate_key /etc/ssl/private/harbour.key;
    location / {
        proxy_pass http://127.0.0.1:8000;
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
    }
}
EOF
systemctl reload nginx

ufw allow 22/tcp
ufw allow 80/tcp
ufw allow 443/tcp
ufw --force enable
