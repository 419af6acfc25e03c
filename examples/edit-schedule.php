<?php
// Waits for a SEID: changes the amount of a schedule, in cents: php examples/edit-schedule.php SID [AMOUNT]
require __DIR__ . '/carat.php';

if ($argc < 2) {
    fwrite(STDERR, "usage: edit-schedule.php SID [AMOUNT]\n");
    exit(2);
}
[$sid, $amount] = [$argv[1], $argv[2] ?? '5990'];

// An announced post has an unguessable merchant_data, and the service reports its absence.
[$status, $expected] = worker('POST', '/v1/expectations', ['kind' => 'seid']);
if ($status !== 201) {
    exit_with('cannot announce: ' . json_encode($expected));
}
$data = $expected['merchant_data'];

[$status, $asked] = carat('POST', '/v1/schedules/edits', ['sid' => $sid, 'merchant_data' => $data]);
if ($status !== 201) {
    worker('DELETE', "/v1/expectations/{$expected['id']}");
    exit_with('Carat refused: ' . json_encode($asked));
}

// Carat posted the SEID during that call: it is usually there already. Wait up to 25 s for it.
[$status, $token] = worker('GET', "/v1/tokens?merchant_data=$data&kind=seid&wait=25");
if ($status !== 200) {
    exit_with("no SEID: $status " . ($token['code'] ?? ''));
}

[$status, $edited] = carat('PUT', "/v1/schedules/edits/{$token['value']}", ['amount' => $amount]);
worker('DELETE', "/v1/tokens/{$token['id']}");
if ($status !== 200) {
    exit_with('not edited: ' . json_encode($edited));
}
echo "edited: {$edited['schedule_edit']['status']}, amount {$edited['schedule']['amount']}", PHP_EOL;
