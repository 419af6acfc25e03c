// Takes a token of a generic operation, uses it, and says so: java Claim.java JOB_ID
import java.net.URI;
import java.net.http.*;
import java.time.Duration;

public class Claim {
    static HttpResponse<String> ask(String method, String claim, String body) throws Exception {
        URI address = URI.create(System.getenv("WORKER_URL") + "/v1/claims/" + claim);
        HttpRequest request = HttpRequest.newBuilder(address).timeout(Duration.ofSeconds(35))
            .header("Authorization", "Bearer " + System.getenv("WORKER_API_KEY"))
            .header("Content-Type", "application/json")
            .method(method, HttpRequest.BodyPublishers.ofString(body)).build();
        return HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
    }

    public static void main(String[] args) throws Exception {
        if (args.length != 1) {
            System.err.println("usage: Claim.java JOB_ID");
            System.exit(2);
        }
        HttpResponse<String> token = ask("PUT", args[0], "{\"kind\":\"token\",\"wait\":25}");
        if (token.statusCode() != 200) {
            System.err.println(token.statusCode() == 204 ? "nothing came" : token.body());
            System.exit(token.statusCode() == 204 ? 3 : 1);
        }
        System.out.println(token.body()); // JSON; … POST /v1/genericoperations with its "value" …
        ask("DELETE", args[0], "");
    }
}
