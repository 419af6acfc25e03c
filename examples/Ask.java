// Asks Carat through the service, one call for each flow, and continues with the token. Needs Java
// 17, and no library.
import java.io.IOException;
import java.net.URI;
import java.net.http.*;
import java.time.Duration;
import java.util.regex.*;

public class Ask {
    static final String USAGE = """
        java examples/Ask.java schedule-edit SID AMOUNT
        java examples/Ask.java recharge USN DDD NUMBER AMOUNT
        java examples/Ask.java generic-operation OPERATION
        java examples/Ask.java cancellation ESITEF_USN USN AMOUNT

        Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no token came.""";
    static final HttpClient HTTP = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1)
        .connectTimeout(Duration.ofSeconds(10)).build();

    static String env(String name, String usual) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? usual : value;
    }

    static HttpResponse<String> call(String method, String url, String body, String... headers) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url)).timeout(Duration.ofSeconds(60))
            .header("Content-Type", "application/json")
            .method(method, HttpRequest.BodyPublishers.ofString(body));
        if (headers.length > 0) request.headers(headers);
        return HTTP.send(request.build(), HttpResponse.BodyHandlers.ofString());
    }

    static HttpResponse<String> service(String method, String path, String body) throws Exception {
        String url = env("WORKER_URL", "http://127.0.0.1:8081") + path;
        return call(method, url, body, "Authorization", "Bearer " + env("WORKER_API_KEY", ""));
    }

    static String carat(String method, String path, String body) throws Exception {
        HttpResponse<String> answer = call(method, env("CARAT_URL", "http://127.0.0.1:8090/e-sitef/api") + path, body,
            "merchant_id", env("CARAT_MERCHANT_ID", "LOJA1"), "merchant_key", env("CARAT_MERCHANT_KEY", "CHAVE0123456789"));
        if (answer.statusCode() != 200) throw new Failed("Carat refused: " + answer.statusCode() + " " + answer.body(), 1);
        return answer.body();
    }

    static String ask(String path, String body) throws Exception {
        HttpResponse<String> answer = service("POST", path, body);
        int status = answer.statusCode();
        if (status == 201) return answer.body();
        String why = "no token: " + status + " " + field(answer.body(), "code") + ": " + field(answer.body(), "detail");
        throw new Failed(why, status == 504 ? 3 : 1);
    }

    /**
     * Returns the first text of that name in a JSON answer, or nothing. Use your project's JSON
     * library instead.
     */
    static String field(String json, String name) {
        Matcher found = Pattern.compile("\"" + name + "\":\"([^\"]*)\"").matcher(json);
        return found.find() ? found.group(1) : "";
    }

    static String scheduleEdit(String sid, String amount) throws Exception {
        String seid = field(ask("/v1/schedule-edits", "{\"sid\":\"" + sid + "\"}"), "seid");
        String edited = carat("PUT", "/v1/schedules/edits/" + seid, "{\"amount\":\"" + amount + "\"}");
        return "edited: " + field(edited.substring(edited.indexOf("schedule_edit")), "status") + ", amount " + field(edited, "amount");
    }

    static String recharge(String usn, String ddd, String number, String amount) throws Exception {
        // From here on, the service owes Carat a decision. Without ours, it undoes the recharge.
        String nit = field(ask("/v1/recharges", "{\"merchant_usn\":\"" + usn + "\"}"), "nit");
        String order = "{\"do_recharge_request\":{\"amount\":\"" + amount + "\",\"dealer\":{\"code\":\"001\"},"
            + "\"phone\":{\"ddd\":\"" + ddd + "\",\"number\":\"" + number + "\"}}}";
        String decision = "undo";
        try {
            String url = env("CARAT_RECHARGE_URL", "http://127.0.0.1:8090/e-sitef") + "/v3/recharge/" + nit;
            HttpResponse<String> effected = call("PUT", url, order);
            if (effected.statusCode() == 200 && field(effected.body(), "status").equals("PPC")) decision = "confirm";
        } catch (IOException lost) {
            // Carat may have carried it out or not: undo it.
        }
        return "recharge " + usn + ": " + decide(nit, decision);
    }

    /**
     * Repeats until the service has stored the decision. 202: the service continues automatically.
     */
    static String decide(String nit, String decision) throws Exception {
        for (int attempt = 0; attempt < 10; attempt++) {
            try {
                HttpResponse<String> answer =
                    service("PUT", "/v1/recharges/" + nit, "{\"decision\":\"" + decision + "\"}");
                int status = answer.statusCode();
                String end = field(answer.body(), "end");
                if (status == 200 || status == 202)
                    return (end.isEmpty() ? decision : end) + " " + field(answer.body(), "status");
                if (status != 503) throw new Failed("not decided: " + status + " " + field(answer.body(), "code"), 1);
            } catch (IOException away) {
                // The next attempt asks again.
            }
            Thread.sleep(1000);
        }
        throw new Failed("not decided: the service undoes the recharge", 1);
    }

    static String genericOperation(String operation) throws Exception {
        String token = field(ask("/v1/generic-tokens", "{}"), "token");
        String done = carat("POST", "/v1/genericoperations", "{\"operation\":\"" + operation + "\",\"parameters\":{"
            + "\"token\":\"" + token + "\",\"authorizer_id\":\"1\",\"terminal_id\":\"EXAMPLE1\","
            + "\"merchant_usn\":\"1\",\"subfunction\":\"01\"}}");
        return "done: code " + field(done, "code");
    }

    static String cancellation(String esitefUsn, String usn, String amount) throws Exception {
        String names = "{\"esitef_usn\":\"" + esitefUsn + "\",\"merchant_usn\":\"" + usn + "\"}";
        String nit = field(ask("/v1/cancellations", names), "nit");
        // Some acquirers need the card here, too.
        String cancelled = carat("PUT", "/v1/cancellations/" + nit, "{\"amount\":\"" + amount + "\"}");
        return "cancelled: " + field(cancelled, "status");
    }

    /** Ends the program with this exit code. */
    static class Failed extends RuntimeException {
        final int code;

        Failed(String why, int code) {
            super(why);
            this.code = code;
        }
    }

    static String run(String[] a) throws Exception {
        String flow = a.length == 0 ? "" : a[0] + " " + (a.length - 1);
        return switch (flow) {
            case "schedule-edit 2" -> scheduleEdit(a[1], a[2]);
            case "recharge 4" -> recharge(a[1], a[2], a[3], a[4]);
            case "generic-operation 1" -> genericOperation(a[1]);
            case "cancellation 3" -> cancellation(a[1], a[2], a[3]);
            default -> throw new Failed(USAGE, 2);
        };
    }

    public static void main(String[] args) throws Exception {
        try {
            System.out.println(run(args));
        } catch (Failed failed) {
            System.err.println(failed.getMessage());
            System.exit(failed.code);
        }
    }
}
